"""Datasets: the tasks of a version built one by one, and archives of them."""
