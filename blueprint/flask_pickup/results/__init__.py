"""From rows to a verdict, and the plan before the first row."""
