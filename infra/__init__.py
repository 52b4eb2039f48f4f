"""The CDK app: stages, stacks, constructs, and the rules on them."""
