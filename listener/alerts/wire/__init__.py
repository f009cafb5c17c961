"""What goes over the wire: the models of every payload, and the JSON Schemas made from them."""
