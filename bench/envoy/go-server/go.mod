module mcp-guard-filter/bench/go-server

go 1.24
