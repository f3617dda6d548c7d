"""What is to be run: run configurations, the losses' parameters, and the experiments as lists of both."""
