"""From an event to the person on call: who is told, when, how often, and what they answer. Pure."""
