"""From a brand's windows to a person who knows: detection, life cycle, words, and the receivers.

``rules``, ``detect``, ``lifecycle``, ``notify``, ``payload``, ``texts`` and ``topics`` decide and are pure; ``mqtt``,
``watch`` and ``broker`` talk to a broker; ``console`` shows an alert on a terminal.
"""
