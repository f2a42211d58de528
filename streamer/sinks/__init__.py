"""Where alarms go: the annotated video, lists, snapshots."""
