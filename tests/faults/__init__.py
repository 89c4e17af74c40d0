"""What breaks between the parts, and what a call makes of it."""
