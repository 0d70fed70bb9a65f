"""Every algorithm that comes with COO-LLM does what an algorithm must."""

from __future__ import annotations

from random import Random

from gateway.api import Algorithm
from gateway.api.testing.algorithms import AlgorithmConformance
from gateway.routing.adaptive import Adaptive
from gateway.routing.hybrid import Hybrid
from gateway.routing.least_loaded import LeastLoaded
from gateway.routing.round_robin import RoundRobin


class TestRoundRobin(AlgorithmConformance):
    def make_algorithm(self) -> Algorithm:
        return RoundRobin()


class TestLeastLoaded(AlgorithmConformance):
    def make_algorithm(self) -> Algorithm:
        algorithm = LeastLoaded()
        algorithm.random = Random(1).random
        return algorithm


class TestHybrid(AlgorithmConformance):
    def make_algorithm(self) -> Algorithm:
        algorithm = Hybrid()
        algorithm.random = Random(1).random
        return algorithm


class TestAdaptive(AlgorithmConformance):
    def make_algorithm(self) -> Algorithm:
        algorithm = Adaptive()
        algorithm.random = Random(1).random
        return algorithm
