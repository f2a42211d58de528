"""Video in, alarms out: sources, pipeline, events, overlay, sinks and the command line."""
