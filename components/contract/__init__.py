"""What a stage is: its declaration, its program, its parameters, and how its container runs."""
