"""The windows of all stores: of one process alone (`meter.py`), or shared, as leased quota (`quota.py`)."""
