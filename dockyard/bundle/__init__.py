"""All that a room without internet needs, in one file: `dockyard bundle save`, `load`."""
