"""The words of prompts, one file each, with a version in its first line; read by `prompts.template`."""

if __name__ != "spatial_agent.prompts.templates":
    raise ImportError(f"import spatial_agent.prompts.templates, not {__name__}")
