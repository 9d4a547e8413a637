"""What techniques share: networks, finite differences. Arrays in, arrays out; nothing here knows of documents or a technique."""
