"""What the machine allows, measured in the same run as the figure that is held against it."""
