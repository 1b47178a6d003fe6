"""The report of a run of the main job: what was counted and measured, and the page that shows it."""
