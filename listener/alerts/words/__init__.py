"""What people read of an alert, in English and Estonian. All pure."""
