"""The real stacks, deployed by the real CDK command line to an emulator of AWS on this machine."""
