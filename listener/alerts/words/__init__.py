"""What people read of an alert, in every language of ``languages.LANGUAGES``. All pure."""
