"""Evaluation: data sets in their published layouts, metrics, protocols, and the record of a benchmark."""
