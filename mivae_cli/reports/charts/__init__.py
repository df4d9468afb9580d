"""Charts: functions from frozen records to Altair charts, without colours or sizes of a page."""
