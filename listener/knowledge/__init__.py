"""What to answer: articles, which of them fit an alert, and what past alerts teach. Pure but for reading the folder."""
