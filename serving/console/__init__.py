"""The console: pages for people who look at the systems and review answers, with nothing from elsewhere."""
