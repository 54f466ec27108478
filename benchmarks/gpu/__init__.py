"""The engine at the exact sizes of LLaVA-1.5 on a GPU: each figure versus a naive way, in turn, in one process."""
