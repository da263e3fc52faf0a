package webui

// DrawnMessage has all that can be drawn, for a test that finds what is not.
type DrawnMessage = drawnMessage
