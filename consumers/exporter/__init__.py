"""The exporter: labelled data, what a classifier says about the rest, and the classifier itself, as one archive."""
