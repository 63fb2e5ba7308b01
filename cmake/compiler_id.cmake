# cmake -DOUT=FILE -DROOT=DIR -P compiler_id.cmake: a C file with one hash of all that passes, representations and back ends are made of, so that
# what one build of the compiler keeps in the cache is nothing to another.
file(GLOB src RELATIVE ${ROOT} ${ROOT}/base/*.[ch] ${ROOT}/ir/*.[ch] ${ROOT}/ir/*.def ${ROOT}/passes/*.[ch] ${ROOT}/codegen/*.[ch])
list(SORT src)
set(all "")
foreach(file ${src})
  file(SHA256 ${ROOT}/${file} hash)
  string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 id "${all}")
file(WRITE ${OUT} "extern const char rondo_compiler_id[];\nconst char rondo_compiler_id[] = \"${id}\";\n")
