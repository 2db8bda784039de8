"""Deploy the stacks with the CDK CLI to an AWS emulator on this machine."""
