"""What boto3 raises, as errors that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from boto3.exceptions import RetriesExceededError
from botocore import exceptions as boto
from s3transfer.exceptions import S3DownloadFailedError  # type: ignore[import-untyped]

from viker.core.errors import UserError

CHAIN = "the usual AWS chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role"
_DENIED = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")
_CREDENTIALS = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidSecurity", "NotSignedUp", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed"),
)
_CHANGED = ("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange", "416")
_KEPT = "Files that are complete are kept: run again to fetch the rest."


@contextmanager
def explained(uri: str, attempts: int) -> Iterator[None]:
    """Turn what boto3 raises into a ``UserError``; never with text of the server, which may quote a request.

    Args:
        uri: what is fetched.
        attempts: how often a request is made.
    """
    try:
        yield
    except boto.ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise UserError(f"{uri}: {_answer(code, status, error.operation_name, attempts)}") from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError):
        raise UserError(f"{uri}: no credentials, or only a part of them. They come from {CHAIN}.") from None
    except S3DownloadFailedError:  # its ETag changed between two parts
        raise UserError(f"{uri}: {_answer('PreconditionFailed', 412, 'GetObject', attempts)}") from None
    except (boto.HTTPClientError, boto.ConnectionError, RetriesExceededError) as error:
        if isinstance(error, RetriesExceededError):
            error = error.last_exception
        endpoint = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url") or ""))
        raise UserError(
            f"{uri}: no answer{f' from {endpoint.hostname}' if endpoint.hostname else ''} after {attempts} attempts "
            f"({type(error).__name__}). Check the network and AWS_ENDPOINT_URL. {_KEPT}"
        ) from None
    except boto.BotoCoreError as error:
        raise UserError(
            f"{uri}: the AWS settings can't be used ({type(error).__name__}). Check AWS_PROFILE, AWS_REGION, "
            f"AWS_ENDPOINT_URL and the files in ~/.aws; credentials come from {CHAIN}."
        ) from None


def _answer(code: str, status: int, operation: str, attempts: int) -> str:
    if code == "NoSuchBucket":
        return "there is no such bucket. Check its name, and AWS_ENDPOINT_URL if it isn't on AWS."
    if code in _DENIED:
        return f"access denied to {operation}. The credentials need s3:ListBucket and s3:GetObject on it."
    if code in _CREDENTIALS:
        return f"the credentials are refused ({code}). Renew them; they come from {CHAIN}."
    if code in _CHANGED:
        return f"an object changed or vanished while it was fetched ({code}). {_KEPT}"
    if status >= 500 or code in ("SlowDown", "Throttling", "ThrottlingException", "RequestTimeout"):
        return (
            f"the server answers {operation} with {code} after {attempts} attempts: it is overloaded or down. {_KEPT}"
        )
    return f"the server answers {operation} with {code}. Check the address; the storage class must allow reading."
