"""Redis as the gateway and the workers use it: clients, commands, errors and checks."""
