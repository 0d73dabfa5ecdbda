# The life of an embedder's build, run by ctest: install, find_package, build, run.

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "exit ${result} from: ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")

run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix")
run("${WORK}/prefix/bin/fairlead" --version)
if(NOT output MATCHES "${VERSION}")
  message(FATAL_ERROR "the installed program says '${output}', not version ${VERSION}")
endif()

set(settings "")
foreach(name IN ITEMS COMPILER COMPILER_LAUNCHER FLAGS)
  list(APPEND settings "-DCMAKE_CXX_${name}=${CMAKE_CXX_${name}}")
endforeach()
run("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK}/build" -G "${GENERATOR}" ${settings}
  "-DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}"
  "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
# Found anywhere else, it would not be the package that is tested here.
file(STRINGS "${WORK}/build/CMakeCache.txt" found REGEX "^fairlead_DIR:")
if(NOT found MATCHES "=${WORK}/prefix/")
  message(FATAL_ERROR "the consumer found another package: ${found}")
endif()
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${WORK}/build/consumer")
