"""The MCP server: scenes, questions and experts as tools of other agents; importing it loads little."""

if __name__ != "spatial_agent.services.mcp_server":
    raise ImportError(f"import spatial_agent.services.mcp_server, not {__name__}")
