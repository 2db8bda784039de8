"""Implementations of `anc.ports` on AWS: DynamoDB, SQS, SNS, IoT Core, API Gateway, S3 and others."""
