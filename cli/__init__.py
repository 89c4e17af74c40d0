"""The commands of ./run: one file each, beside what they share."""
