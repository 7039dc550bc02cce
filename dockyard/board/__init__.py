"""The class at a glance: what checks found, live, for whoever teaches."""
