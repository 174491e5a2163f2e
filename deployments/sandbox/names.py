"""The names that the sandbox's resources bear: generated where AWS or a template would generate them."""

import hashlib

from deployments.sandbox.services.routes import Home
from rules.catalogue import Catalogue
from rules.vocabulary import Environment, Service


def suffix(*parts: str, length: int = 8) -> str:
    """What a template appends to a name: the same for the same resource, at every start."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:length].upper()


def service_name(environment: Environment, service: Service) -> str:
    """`BATbern-staging-EventManagement-Service7F3A9C21-0B5D2E6A41C8`."""
    prefix = service.ecs_service.format(environment=environment.name)
    return f"{prefix}{suffix(prefix)}-{suffix(prefix, 'resource', length=12)}"


def family(application: str, environment: Environment, service: Service) -> str:
    return f"{application}-{environment.name}-{service.id}"


def role_arn(environment: Environment, role: str) -> str:
    return f"arn:aws:iam::{environment.account}:role/{role}"


def image_uri(registry: Environment, service: Service, tag: str) -> str:
    return f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com/{service.repository}:{tag}"


def homes(catalogue: Catalogue) -> dict[tuple[str, str], Home]:
    """Where each service of each environment lives, by environment name and service id."""
    return {
        (environment.name, service.id): Home(
            environment.account, environment.cluster, service_name(environment, service)
        )
        for environment in catalogue.environments.values()
        for service in catalogue.services.values()
    }
