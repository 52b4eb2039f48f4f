"""What each peer serves: the least that it needs for a checked row in and a probability out."""
