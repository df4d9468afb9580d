"""Reports: what runs contain, their charts, and the page."""
