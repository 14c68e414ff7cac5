"""Why an export does not happen."""


class ExportRefused(Exception):
    """What was wrong and what to do, for a person. Nothing is left in the folder that was asked for."""
