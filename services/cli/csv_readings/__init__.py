"""KPI readings kept as CSV files: read the manifest, the files, and say what they tell."""
