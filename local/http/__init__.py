"""REST, WebSocket and file transfer over HTTP, with the limits that API Gateway would impose."""
