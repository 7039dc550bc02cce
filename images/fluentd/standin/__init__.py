"""Dockyard's stand-in for Fluentd, for labs that can reach neither its image nor RubyGems.

It takes events by the Forward protocol and keeps them as Fluentd does: names, times, tags and
records of its files agree for the same input. It knows the directives that the course needs, and
ends with file and line at any other. It sends no events of its own (tag fluent.*).
"""
