"""Finding deterioration: from votes to evidence, from evidence to an alert, and the proof of it. All pure."""
