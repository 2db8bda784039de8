"""The ports on AWS: DynamoDB, SQS, IoT Core, API Gateway, S3, and the token issuer's published keys."""
