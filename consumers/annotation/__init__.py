"""Annotation of tasks: by detectors, and from what other tools have written."""
