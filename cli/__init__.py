"""The commands of ./run, one module or package each, and the modules that they share."""
