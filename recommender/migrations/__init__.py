"""How the tables of the decision log came to be, a step a file."""
