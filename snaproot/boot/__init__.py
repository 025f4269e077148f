"""What runs while a machine boots: a generator, static units, and the services that they start."""
