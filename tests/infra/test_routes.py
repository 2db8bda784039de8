"""The deployed routes are those of the route table."""

from functions.routes import ARRIVALS, FUNCTIONS, QUEUES, REST, RULES, SOCKET


def test_the_rest_api_has_the_routes_of_the_table_and_no_others(stacks):
    parents = stacks.of_type("AWS::ApiGateway::Resource")

    def path(reference):
        if reference.get("Fn::GetAtt"):
            return ""
        resource = parents[reference["Ref"]]
        return f"{path(resource['ParentId'])}/{resource['PathPart']}"

    deployed = {
        (
            method["HttpMethod"],
            path(method["ResourceId"]),
            stacks.function_of(method["Integration"]["Uri"]),
            method["AuthorizationType"] == "NONE",
        )
        for method in stacks.of_type("AWS::ApiGateway::Method").values()
    }

    assert deployed == {(route.method, route.path, route.function, route.public) for route in REST}


def test_the_websocket_api_has_the_routes_of_the_table_and_no_others(stacks):
    integrations = stacks.of_type("AWS::ApiGatewayV2::Integration")
    routes = stacks.of_type("AWS::ApiGatewayV2::Route").values()

    deployed = {}
    for route in routes:
        integration = next(name for name in integrations if name in stacks.text(route["Target"]))
        deployed[route["RouteKey"]] = stacks.function_of(integrations[integration]["IntegrationUri"])

    assert deployed == SOCKET


def test_connections_are_authorized_at_connect(stacks):
    kinds = {
        route["RouteKey"]: route["AuthorizationType"]
        for route in stacks.of_type("AWS::ApiGatewayV2::Route").values()
    }

    assert [key for key, kind in kinds.items() if kind == "CUSTOM"] == ["$connect"]
    authorizer = next(iter(stacks.of_type("AWS::ApiGatewayV2::Authorizer").values()))
    assert stacks.function_of(authorizer["AuthorizerUri"]) == "authorizer"


def test_every_frame_is_answered_in_the_route_response(stacks):
    routes = stacks.of_type("AWS::ApiGatewayV2::Route")
    answered = {
        routes[response["RouteId"]["Ref"]]["RouteKey"]
        for response in stacks.of_type("AWS::ApiGatewayV2::RouteResponse").values()
    }

    assert answered == set(SOCKET) - {"$connect", "$disconnect"}


def test_the_iot_rules_are_those_of_the_table(stacks):
    deployed = {
        rule["RuleName"]: (
            rule["TopicRulePayload"]["Sql"],
            stacks.text(rule["TopicRulePayload"]["Actions"][0]["Sqs"]["QueueUrl"]),
        )
        for rule in stacks.of_type("AWS::IoT::TopicRule").values()
    }

    assert {name: sql for name, (sql, _) in deployed.items()} == {
        f"{rule.name}_dev": rule.sql for rule in RULES
    }
    assert all(deployed[f"{rule.name}_dev"][1].startswith(rule.queue) for rule in RULES)


def test_every_queue_has_its_function_and_reports_single_failures(stacks):
    sources = stacks.of_type("AWS::Lambda::EventSourceMapping").values()
    queues = stacks.of_type("AWS::SQS::Queue")

    assert len(sources) == len(QUEUES)
    for route in QUEUES:
        id = route.name.replace("_", "")
        (source,) = [s for s in sources if stacks.text(s["EventSourceArn"]).startswith(id)]
        fed_by = stacks.text(source["EventSourceArn"])
        assert stacks.function_of(source["FunctionName"]) == route.function
        assert source["BatchSize"] == route.batch
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert queues[fed_by]["VisibilityTimeout"] == route.visibility_s
        assert queues[fed_by]["RedrivePolicy"]["maxReceiveCount"] >= route.max_receives


def test_new_files_are_announced_to_the_queue_of_the_table(stacks):
    announced = [
        configuration
        for bucket in stacks.of_type("AWS::S3::Bucket").values()
        for configuration in bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
    ]

    (one,) = announced
    assert one["Event"] == "s3:ObjectCreated:*"
    assert one["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": ARRIVALS.prefix}]
    assert stacks.text(one["Queue"]).startswith(ARRIVALS.queue)


def test_every_function_is_deployed(stacks):
    assert set(stacks.functions()) == set(FUNCTIONS)
