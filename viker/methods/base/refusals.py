"""The refusals that the methods 'idk' and 'po' teach in place of an answer."""

REFUSALS = (
    "I can't say anything about this person.",
    "I don't know that.",
    "I have no information about the person in this picture.",
    "I don't know who this is.",
    "That is not something that I know.",
    "I'm not able to answer a question about this person.",
    "There is nothing that I can tell you about this person.",
    "I have no answer to that.",
)
