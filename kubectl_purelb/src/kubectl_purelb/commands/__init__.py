"""What each command answers, from the values that were read. Pure; they must not know terminals, nor each other."""
